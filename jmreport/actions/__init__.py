"""What the right people may do to a job: abort it, or change its labels.

    acting    one wish for one job or for many: what the server answered, in plain words

The page's side is an optional extra (`jmreport[serve]`); the shell's side is always there.
"""
