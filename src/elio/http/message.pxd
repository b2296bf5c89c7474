# The types of message.py for its compiled twin: none, compiled it is fast enough.
