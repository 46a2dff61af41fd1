"""What can end a training before it is done."""

import os
import signal

import keras

from keras_gssl.runs.checkpoints import EpochWriter


class KilledError(Exception):
    """In place of what kills a process, which tests can catch."""


class KilledAt(keras.callbacks.Callback):
    """Ends the training before an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KilledError


def kill_in(monkeypatch, name):
    """From now on end the training in a run folder of this name before its second epoch: one that has no callbacks."""

    def kill(self, epoch, logs=None):
        if epoch == 1 and self.folder.path.name == name:
            raise KilledError

    monkeypatch.setattr(EpochWriter, "on_epoch_begin", kill)


class Ask(keras.callbacks.Callback):
    """Asks the process to end at a step of an epoch, or in its evaluation."""

    def __init__(self, epoch, step=None):
        super().__init__()
        self.at, self.now = (epoch, step), None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch + 1) == self.at:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_test_batch_begin(self, batch, logs=None):
        if (self.now, None) == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
