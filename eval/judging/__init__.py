"""A judge model, where somebody wants one: the protocol, an endpoint, and what it costs."""
