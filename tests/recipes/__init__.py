"""What CONTRIBUTING.md tells to write, as small as it gets; test_recipes.py adds each to a copy of afdcd."""
