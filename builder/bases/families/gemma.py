"""Gemma, by Google: EOS ends the conversation, another token each turn; content is trimmed."""

from builder.bases import licences
from builder.bases.family import Family, Repository, Signs

IDENTITY_WORDS = ("Gemma", "Google", "DeepMind")
# The generation_config.json of google/gemma-3-4b-it and google/gemma-4-E4B-it.
PARAMETERS = {"temperature": 1.0, "top_p": 0.95, "top_k": 64}

GEMMA3 = Family(
    name="gemma3",
    signs=Signs(model_types=("gemma3_text",), end_of_turn="<end_of_turn>"),
    identity_words=IDENTITY_WORDS,
    replacement="gemma3",
    parameters=PARAMETERS,
    licence=licences.GEMMA,
    repositories=(
        Repository(
            name="google/gemma-3-270m-it",
            parameters=268_000_000,
            embedding_parameters=168_000_000,
            four_bit="unsloth/gemma-3-270m-it-unsloth-bnb-4bit",
        ),
        Repository(
            name="google/gemma-3-1b-it",
            parameters=1_000_000_000,
            embedding_parameters=302_000_000,
            four_bit="unsloth/gemma-3-1b-it-unsloth-bnb-4bit",
        ),
    ),
    verified="chat template compared with the original",
)

# For images and text; only the text model is trained and exported.
GEMMA3_IMAGE_TEXT = Family(
    name="gemma3-image-text",
    signs=Signs(model_types=("gemma3",), end_of_turn="<end_of_turn>"),
    identity_words=IDENTITY_WORDS,
    replacement="gemma3",
    parameters=PARAMETERS,
    licence=licences.GEMMA,
    repositories=(
        Repository(
            name="google/gemma-3-4b-it",
            parameters=4_300_000_000,
            embedding_parameters=671_000_000,
            four_bit="unsloth/gemma-3-4b-it-unsloth-bnb-4bit",
        ),
        Repository(
            name="google/gemma-3-12b-it",
            parameters=12_200_000_000,
            embedding_parameters=1_010_000_000,
            four_bit="unsloth/gemma-3-12b-it-unsloth-bnb-4bit",
        ),
    ),
    verified="chat template compared with the original",
)

# Only E2B and E4B have embeddings in every layer. The larger ones write an empty thought into the
# prompt, which is not in the turns that were answered.
GEMMA4 = Family(
    name="gemma4",
    signs=Signs(
        model_types=("gemma4",),
        end_of_turn="<turn|>",
        config={"text_config.hidden_size_per_layer_input": (256,)},
    ),
    identity_words=IDENTITY_WORDS,
    replacement="gemma4",
    thinking="off: nothing in the prompt asks for it",
    # A call ends with <|tool_response>, the turn continues after the result, and Ollama's renderer
    # writes schemas differently (ollama 0.34.2, model/renderers/gemma4.go).
    why_no_tools="its calls do not end a turn, and their results are in the same one",
    # By default Ollama sets the parser gemma4, which thinks (ollama fb3076099, server/create.go).
    # It chooses the renderer by the model's name: a name with 12b, 26b or 31b gets that of the
    # larger bases (ollama 0.34.2, server/renderer_resolution.go).
    ollama_renderer="gemma4-small",
    ollama_parser="gemma4-no-thinking",
    parameters=PARAMETERS,
    licence=licences.APACHE,
    repositories=(
        Repository(
            name="google/gemma-4-E2B-it",
            parameters=5_100_000_000,
            embedding_parameters=2_800_000_000,
            four_bit="unsloth/gemma-4-E2B-it-unsloth-bnb-4bit",
        ),
        Repository(
            name="google/gemma-4-E4B-it",
            parameters=8_000_000_000,
            embedding_parameters=3_500_000_000,
            four_bit="unsloth/gemma-4-E4B-it-unsloth-bnb-4bit",
        ),
    ),
    verified="chat template compared with the original",
)

FAMILIES = (GEMMA3, GEMMA3_IMAGE_TEXT, GEMMA4)
