"""`python -m hwsim` is the command line."""

from hwsim.cli import main

main()
