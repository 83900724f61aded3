namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Tokens that chat models put behind an answer. They are not always what eos_token and config.json call the end: Llama 3, as it was first
/// released, says <c>&lt;|eot_id|&gt;</c> and names <c>&lt;|end_of_text|&gt;</c>; ChatML over an older tokenizer names <c>&lt;/s&gt;</c>.
/// </summary>
internal static class EndOfTurnTokens
{
    /// <summary>ChatML; Llama 3 and 4; OpenChat; Gemma.</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|eom|>", "<|end_of_turn|>", "<end_of_turn>"];

    /// <summary>The ids of those that a tokenizer has.</summary>
    public static IEnumerable<int> In(ITextTokenizer tokenizer) => Names.Select(tokenizer.Find).OfType<int>();

    /// <summary>The first of them in a text; null where there is none.</summary>
    public static string? FirstIn(string text) => Names
        .Select(name => (Name: name, At: text.IndexOf(name, StringComparison.Ordinal)))
        .Where(found => found.At >= 0)
        .OrderBy(found => found.At)
        .Select(found => found.Name)
        .FirstOrDefault();
}
