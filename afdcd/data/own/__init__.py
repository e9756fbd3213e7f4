"""Data sets that people bring: their layout is guessed, the meaning of their labels never."""
