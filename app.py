"The Space: serves the bundle that `FFON_DETECTOR` names, or the detector inside the package"
import sys

from face_fake_or_not.core import FaceFakeError
from face_fake_or_not.serve import launch

if __name__ == '__main__':
    try: launch()
    except (FaceFakeError, OSError, KeyboardInterrupt) as e: sys.exit(str(e) or 'stopped')
