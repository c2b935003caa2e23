"""From files to documents: one loader per format, a registry over them, a sandbox around them."""
