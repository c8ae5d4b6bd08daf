"Make the bundle of a run the embedded detector: `python tools/embed.py RUN`. It goes without export.pkl, and stays under 20 MB."
import shutil, sys
from pathlib import Path

from face_fake_or_not.core import atomic_dir, read_bundle, read_json, write_json

LIB = Path(__file__).resolve().parent.parent/'face_fake_or_not'
LIMIT = 20_000_000

def embed(bundle):
    "Copy what the runtime and `bundle_learner` need, and list just those files"
    read_bundle(bundle, 'model.onnx')
    with atomic_dir(LIB/'embedded') as tmp:
        for f in sorted(bundle.iterdir()):
            if f.name != 'export.pkl': shutil.copyfile(f, tmp/f.name)
        info = read_json(tmp/'detector.json')
        info['sha256'].pop('export.pkl', None)
        write_json(tmp/'detector.json', info)
        size = sum(f.stat().st_size for f in tmp.iterdir())
        if size > LIMIT: sys.exit(f'{size/1e6:.1f} MB: the embedded detector may have {LIMIT/1e6:.0f} MB; nothing was changed')
    print(f'{size/1e6:.1f} MB embedded from {bundle}')

if __name__ == '__main__':
    if len(sys.argv) != 2: sys.exit(__doc__)
    embed(Path(sys.argv[1])/'bundle')
