"""Work that is taken on now and done later: kept on disk until it is done."""
