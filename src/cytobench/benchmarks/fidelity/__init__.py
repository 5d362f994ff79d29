"""How near synthetic images come to real ones: distances between sets, each beside what two real sets differ by."""
