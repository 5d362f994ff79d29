"""mini-sd, the small embedded base of demonstrations and tests: how it is made, and (``pipeline/``) the outcome."""
