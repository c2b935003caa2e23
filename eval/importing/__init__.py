"""Question sets in other layouts, brought into the common schema of ``eval.datasets``."""
