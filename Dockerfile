# The app for those who host it themselves: docker build -t face-fake-or-not . && docker run --rm -p 7860:7860 --read-only --tmpfs /tmp face-fake-or-not
# Settings are environment variables (-e FFON_DETECTOR=/bundle -v my_bundle:/bundle:ro), listed in nbs/19a_serve.ipynb.
FROM python:3.12-slim

RUN useradd --uid 1000 --no-create-home --home-dir /tmp app
WORKDIR /srv/app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY app.py README.md ./
COPY face_fake_or_not face_fake_or_not
RUN python -m compileall -q face_fake_or_not

ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 GRADIO_ANALYTICS_ENABLED=False PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 1000
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['GRADIO_SERVER_PORT']}/health\", timeout=4)"]
CMD ["python", "app.py"]
