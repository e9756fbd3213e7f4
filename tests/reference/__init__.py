"""The official formulation of Af-DCD in our words: what ours is compared with, for numbers and speed."""
