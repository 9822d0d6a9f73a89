"""Everyday sentences: pairs to score, and others to calibrate on; none has more than 14 tokens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Two sentences, and what they are to each other: the same, on one subject, or neither."""

    kind: str
    first: str
    second: str


PAIRS = (
    Pair("paraphrase", "A man is playing the guitar.", "Someone plays a guitar."),
    Pair("paraphrase", "The shop closes at six o'clock.", "The store shuts at 6 pm."),
    Pair("paraphrase", "How can I learn to cook?", "What is a good way to learn cooking?"),
    Pair("paraphrase", "Heavy rain delayed our train.", "Our train was late because of the storm."),
    Pair("related", "The dog sleeps under the table.", "A cat is lying on the sofa."),
    Pair("related", "She bought a ticket to Paris.", "They are travelling through France."),
    Pair("related", "The soup needs more salt.", "We are having pasta for dinner."),
    Pair("unrelated", "My phone needs a new battery.", "The lake is frozen in winter."),
    Pair("unrelated", "He painted the fence green.", "Interest rates rose again in May."),
    Pair("unrelated", "The baby is finally asleep.", "Goals were scored in both halves."),
)

CALIBRATION = (
    "Please close the window before you leave.",
    "The meeting was moved to Thursday afternoon.",
    "Two children are building a castle of sand.",
    "I forgot my umbrella on the bus.",
    "This bridge was built a hundred years ago.",
    "Could you tell me where the library is?",
    "The price of coffee has doubled since last year.",
    "Her grandmother grows tomatoes on the balcony.",
    "The museum is free on the first Sunday.",
    "Our neighbours have a very loud lawn mower.",
    "The doctor told him to rest for a week.",
    "A bird has made its nest in the old chimney.",
    "They danced until the music stopped.",
    "Nobody knows why the lights went out.",
    "The new film is longer than the book.",
    "We walked along the beach at sunrise.",
    "The company hired twenty engineers this spring.",
    "Is there a vegetarian dish on the menu?",
    "The printer is out of paper again.",
    "Snow covered the roofs of the village.",
    "My sister studies chemistry in Berlin.",
    "The referee sent two players off.",
    "An apple a day keeps the doctor away.",
    "He repaired the bicycle with a piece of wire.",
    "The government plans to lower taxes on fuel.",
    "Put the flour and the eggs into a bowl.",
    "Her flight lands at half past nine.",
    "The teacher explained the problem a second time.",
    "Old maps show a river that is gone.",
    "What time does the concert start?",
    "The judge will announce her decision tomorrow.",
    "Our garden is full of bees in June.",
)
