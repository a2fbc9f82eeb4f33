"""`python -m llia_ros.demo`."""

import sys

from llia_ros.demo import main

sys.exit(main())
