"""What is measured of Trainyard, and never asserted in a test. Run it with `make bench`."""
