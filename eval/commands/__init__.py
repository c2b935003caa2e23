"""The commands of ``rag-eval``, one module each: arguments in, a result on stdout out."""
