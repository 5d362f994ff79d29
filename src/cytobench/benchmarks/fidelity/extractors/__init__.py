"""What turns images into features; one file for each."""
