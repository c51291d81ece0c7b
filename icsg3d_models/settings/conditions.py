"""What can be asked for, as settings of those who make crystals and of those who judge them: the list of conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model, model_validator

from ..conditions import CONDITIONS, contradiction
from ..strict import Strict


class AskingSettings(Strict):
    """What all settings with conditions can do."""

    @property
    def asked(self) -> dict[str, Any]:
        """All that is asked for, name of a condition -> value."""
        values = {condition.name: getattr(self, condition.name) for condition in CONDITIONS}
        return {name: value for name, value in values.items() if value is not None}

    @model_validator(mode="after")
    def _can_be_meant(self) -> AskingSettings:
        problem = contradiction(self.asked)
        if problem is not None:
            raise ValueError(problem)
        return self


if TYPE_CHECKING:
    ConditionSettings = AskingSettings
else:
    ConditionSettings = create_model(
        "ConditionSettings",
        __base__=AskingSettings,
        __module__=__name__,
        __doc__="One setting a condition; null asks for nothing.",
        **{c.name: (c.type | None, Field(None, description=c.help)) for c in CONDITIONS},
    )
