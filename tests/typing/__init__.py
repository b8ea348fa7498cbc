"""What type checkers are to find out; they check these files, and pytest runs them."""
