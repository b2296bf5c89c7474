# The types of response.py for its compiled twin.
