"""python -m test, with a recording of everything that it does: with_hooks.py test_gc ..."""

import sys

import memprofile
from test.libregrtest.main import main

status = 1
with memprofile.profile() as profile:
    try:
        main()
    except SystemExit as leaving:
        status = leaving.code or 0
# A recording that saw nothing would prove nothing.
if profile.allocation_count < 1000:
    sys.exit(f"the hooks saw only {profile.allocation_count} allocations")
print(f"the hooks saw {profile.allocation_count:,} allocations")
sys.exit(status)
