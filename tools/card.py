"Measure a bundle again and write its card and evaluation.json anew: `python tools/card.py BUNDLE ITEMS.csv [PAIRS.csv]`. The network, its rule and what it says of its training stay as they are."
import sys
from pathlib import Path

from face_fake_or_not.core import atomic_dir, file_sha256, write_json
from face_fake_or_not.detector import load_detector
from face_fake_or_not.evaluate import evaluate
from face_fake_or_not.export import model_card
from face_fake_or_not.hub import check_bundle
from face_fake_or_not.items import face_items
from face_fake_or_not.robustness import robustness

def measure(bundle, items, pairs=None):
    "Judge `bundle` on the test split of `items`, clean and as readers get the photos"
    (info, as_exported), detector = check_bundle(bundle), load_detector(bundle)    # a damaged file is not signed anew
    if not as_exported: sys.exit(f'{bundle}/README.md was changed by hand, and would be lost: keep it elsewhere')
    test = face_items(csv=items).query("split == 'test'")
    ev, rob = evaluate(detector, test, pairs, name=info['name']), robustness(detector, test)
    with atomic_dir(bundle) as tmp:
        for name in info['sha256']: (tmp/name).write_bytes((bundle/name).read_bytes())
        write_json(tmp/'evaluation.json', ev.to_dict() | dict(robustness=rob.to_dict()))
        (tmp/'README.md').write_text(model_card(info | dict(rule=detector.rule.to_dict()), ev, rob), encoding='utf8')
        write_json(tmp/'detector.json', info | dict(sha256={f.name: file_sha256(f) for f in sorted(tmp.iterdir())}))

if __name__ == '__main__':
    if len(sys.argv) not in (3, 4): sys.exit(__doc__)
    measure(Path(sys.argv[1]), *sys.argv[2:])
