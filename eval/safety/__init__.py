"""What looks for unsafe answers: a protocol, and rules over words that are built in."""
