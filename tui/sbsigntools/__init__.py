"""sbsign, sbverify and sbattach as build systems call them, and signing in two phases.

Drop-in commands on the same rules as the ceremony: their options, exit statuses and file
forms are sbsigntools', what they accept is ours. The image passes through once, in constant
memory. Nothing of the ceremony's engine and no face is imported here.
"""
