# A container with mirrorneuron, a C compiler, and a CPU build of torch.
#     docker build -t mirrorneuron .
#     docker run --rm -v "$PWD:/work" mirrorneuron check my_script.py
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/mirrorneuron
COPY . .
RUN pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir -c constraints.txt ".[validate,gym,data]"

WORKDIR /work
ENTRYPOINT ["mirrorneuron"]
CMD ["--help"]
