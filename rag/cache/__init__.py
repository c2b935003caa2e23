"""The answer cache: exact questions, and other wordings of them that certainly ask the same."""
