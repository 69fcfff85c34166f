"""In which section of the archive is a Debian package? Asked with Inspect, offline."""
