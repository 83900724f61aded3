using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>What is read of generation_config.json: chat models may name only there which tokens end an answer.</summary>
internal static class GenerationConfig
{
    /// <summary>The tokens that end a text; none where the file or the key is not there.</summary>
    /// <param name="files">The model's small files; null for a tokenizer that is not from files.</param>
    /// <exception cref="InvalidDataException">The file is no JSON, or the key holds no ids.</exception>
    public static IReadOnlyList<int> EndTokens(TokenizerFiles? files)
    {
        if (files?.Find(TokenizerFiles.GenerationConfig) is not { } json)
        {
            return [];
        }

        JsonReader config = JsonReader.Parse(TokenizerFiles.GenerationConfig, json);
        IReadOnlyList<int> ids = config.Integers("eos_token_id");
        return ids.All(id => id >= 0)
            ? ids
            : throw config["eos_token_id"].Invalid("must be the id of a token, at least 0, or a list of them");
    }
}
