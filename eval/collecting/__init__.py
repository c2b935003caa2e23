"""Real questions made into a labelled question set: drafted, judged by a person, written."""
