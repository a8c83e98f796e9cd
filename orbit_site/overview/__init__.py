"""What needs a user, and the numbers of the installation: for the console, REST and the command."""
