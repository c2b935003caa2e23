"""What a machine says about the energy that its work takes, and how a request gets its share."""
