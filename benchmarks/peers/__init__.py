"""The peers: the same works by other libraries, each in its fastest setting that was found."""
