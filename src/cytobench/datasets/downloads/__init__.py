"""Files from their publishers: whole and proven, or not there."""
