"The Space: serves the bundle that `FFON_DETECTOR` names, or the detector inside the package"
from face_fake_or_not.app import create_app, serve

demo = create_app()

if __name__ == '__main__': serve(demo)
