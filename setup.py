"""What pyproject.toml cannot say: the folder search_spaces/ is installed as afdcd/search_spaces."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["afdcd", "afdcd.*"]), "afdcd.search_spaces"],
    package_dir={"afdcd.search_spaces": "search_spaces"},
    package_data={"afdcd.data.catalog.tables": ["*.csv"], "afdcd.search_spaces": ["*.yaml"]},
)
