"""ImageNet classes of photos, written down from what the files are called, before any network saw them.

A photo counts as right if the network names one of the classes after its path: some captions fit several.
"""

STAMPS = """
animals/amphibians/frog 30 31 32
animals/amphibians/frog-1 30 31 32
animals/birds/chicken_profile 7 8
animals/birds/crowned_crane 134
animals/birds/drake 97
animals/birds/duck 97 98
animals/birds/gander 99
animals/birds/hen 8
animals/birds/little-penguin 145
animals/birds/magellanic_penguin 145
animals/birds/magpie 18
animals/birds/ostrich 9
animals/birds/peacock 84
animals/birds/pelican 144
animals/birds/penguin 145
animals/birds/pink_flamingo 130
animals/birds/rainbow-lorikeet 90
animals/birds/rooster 7
animals/birds/tucan 96
animals/birds/vulture 23
animals/fish/clownfish 393
animals/fish/lionfish 396
animals/fish/lobster 122 123
animals/insects/Brown_slug 114
animals/insects/Woodlouse 126
animals/insects/bee 309
animals/insects/fly 308
animals/insects/grasshopper 311
animals/insects/hoverfly 308 309
animals/insects/mantis 315
animals/lizards/iguana 39
animals/mammals/apes/chimp 367
animals/mammals/apes/gorilla 366
animals/mammals/aquatic/orca 148
animals/mammals/aquatic/otter 360
animals/mammals/aquatic/sea_lion 150
animals/mammals/aquatic/whale 147 148
animals/mammals/badger 362
animals/mammals/bears/bear 294 295
animals/mammals/bears/european-bear 294
animals/mammals/bears/toys/edward_bear 850
animals/mammals/bovines/bison 347
animals/mammals/bovines/bull 345
animals/mammals/bovines/ram 348
animals/mammals/camel/camel 354
animals/mammals/camel/dromedary 354
animals/mammals/cats/lion 291
animals/mammals/cats/lion-2 291
animals/mammals/cats/tiger 292
animals/mammals/cats/tiger_sumatran 292
animals/mammals/dogs/dingo 273
animals/mammals/dogs/fox 277 278 280
animals/mammals/echidna 102
animals/mammals/elephant 101 385 386
animals/mammals/equines/horse 339
animals/mammals/equines/zebra 340
animals/mammals/ferret 358 359
animals/mammals/hippopotamus 344
animals/mammals/pig 341
animals/mammals/pig_golden 341
animals/mammals/pig_golden2 341
animals/mammals/rabbit_little 330 331
animals/mammals/rodents/beaver 337
animals/mammals/rodents/marmot 336
animals/mammals/rodents/rabbit 330 331
animals/mammals/rodents/rabbit-2 330 331
animals/mammals/rodents/squirrel 335
animals/mammals/wildboar 342
animals/marsupials/kangaroo 104
animals/marsupials/koala 105
animals/marsupials/wombat 106
food/fruit/apple_granny_smith 948
food/fruit/apple_green 948
food/fruit/banana 954
food/fruit/lemon 951
food/fruit/mandarine 950
food/fruit/orange 950
food/fruit/orange_seville 950
food/fruit/pineapple 953
food/fruit/pomegranate 957
food/fruit/Strawberry2 949
food/fruit/strawberry 949
food/pizza 963
food/vegetables/broccoli 937
food/vegetables/corn 987 998
food/vegetables/mushroom 947
food/vegetables/pepper 945
food/vegetables/yellowpepper 945
clothes/hats/sombrero 808
clothes/t_sock 806
hobbies/binoculars 447
hobbies/camera_35mm 732 759
hobbies/music/percussion/drum_tomtom_floor 541
hobbies/music/string/cello 486
hobbies/music/string/guitar2 402 546
hobbies/music/string/guitar_classical 402
hobbies/music/string/guitar_electric 546
hobbies/music/string/guitar_electric_bass 546
hobbies/music/string/violin 889
hobbies/music/wind/bassoon 432
household/dishes/mug 504
household/dishes/pitcher_small 725
household/dishes/teapot 849
household/garbagecan 412
household/toilet 861
household/tools/hammer 587
household/tools/paintbrush_large 696
household/tools/spade 792
household/wheelie_bin 412
medical/stethoscope 823
medical/syringe 845
plants/mushrooms/cep 997
plants/mushrooms/cep-1 997
plants/mushrooms/cep-2 997
seasonal/candle 470
space/apollo_lander 812
sports/basketball 430
sports/rugby_goal_posts 768
sports/soccer 805
sports/tennis_ball 852
sports/tennis_racket 752
town/roadsigns/stoplight_01_red 920
town/roadsigns/stoplight_02_yellow 920
town/roadsigns/stoplight_03_green 920
town/usps_mailbox 637
vehicles/cycle/pink_tricycle 870
vehicles/emergency/firetruck 555
vehicles/emergency/sedan_police 734
vehicles/flight/balloon360 417
vehicles/flight/planes/747 404
vehicles/garbagetruck 569
vehicles/race/indycar 751
vehicles/wheel_tractor 866
"""
"""Stamps of Tux Paint: path below its folder of stamps, without .png, then the classes."""

SAMPLES = """
chelsea 281 282 285
coffee 504 967
rocket 657 744 812
motorcycle_left 665 670
"""
"""Sample photos of scikit-image: name, then the classes."""


def read(table: str) -> dict[str, frozenset[int]]:
    """One of the tables above as a mapping from path to classes, in its order."""
    rows = [line.split() for line in table.strip().splitlines()]
    return {path: frozenset(map(int, classes)) for path, *classes in rows}
