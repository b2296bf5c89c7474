# The types of failures.py for its compiled twin.
