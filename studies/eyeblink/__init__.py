"""Eyeblink conditioning in the spiking olivo-cerebellar circuit."""
