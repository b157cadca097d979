# The page in a container (docs/hosting.md):  docker build -t unit . && docker run -p 7860:7860 unit
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# A layer of its own, so that a change of the program does not install everything again. The CPU wheels of torch have
# the higher version number (2.14.1+cpu), so pip prefers them; a machine they do not exist for gets the usual ones.
WORKDIR /app
COPY requirements.txt ./
RUN pip install --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.txt

# The program belongs to root and is run by somebody else, who can write in his home only.
COPY app.py LICENSE ./
COPY unit ./unit
COPY checkpoints ./checkpoints
# A volume for the Hub's cache belongs to whom its folder belongs to.
RUN python -m compileall -q app.py unit && useradd --create-home --uid 1000 unit \
    && install -d -o unit -g unit /home/unit/.cache
USER unit

ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/config', timeout=5)"]
CMD ["python", "app.py"]
