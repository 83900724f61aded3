using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>The tokenizers that have reference answers, and the rows of those.</summary>
internal static class TokenizerCases
{
    private static readonly ConcurrentDictionary<string, Lazy<TextTokenizer>> s_loaded = new(StringComparer.Ordinal);

    /// <summary>The five that are asked for, and whatever else lies beside them.</summary>
    public static IEnumerable<object[]> Names
    {
        get
        {
            string[] known = ["llama3", "mistral-v1", "mistral-v1-legacy", "smollm2", "tiny-llama-math"];
            string parent = Path.GetDirectoryName(TestData.Tokenizers("mistral-v1"))!;
            IEnumerable<string> found = Directory.Exists(parent)
                ? Directory.GetDirectories(parent).Select(folder => Path.GetFileName(folder))
                : [];
            return known.Union(found, StringComparer.Ordinal).Order(StringComparer.Ordinal).Select(name => new object[] { name });
        }
    }

    /// <summary>Where a tokenizer's own files are.</summary>
    public static string Folder(string name) => TestData.Require(name switch
    {
        "smollm2" => TestData.SmolLM2,
        "tiny-llama-math" => TestData.TinyLlama,
        _ => TestData.Tokenizers(name),
    });

    public static TextTokenizer Load(string name)
    {
        string folder = Folder(name);
        return s_loaded.GetOrAdd(folder, _ => new Lazy<TextTokenizer>(() => TextTokenizer.Load(folder))).Value;
    }

    /// <summary>A tokenizer without its tokenizer.json.</summary>
    public static TextTokenizer LoadModelFileAlone(string name, bool withConfig)
    {
        TokenizerFiles files = TokenizerFiles.FromFolder(Folder(name));
        if (files.Find(TokenizerFiles.TokenizerModel) is null)
        {
            Assert.Inconclusive($"'{name}' has no {TokenizerFiles.TokenizerModel}.");
        }

        return TextTokenizer.Load(new TokenizerFiles(files.Names
            .Where(file => file == TokenizerFiles.TokenizerModel || (withConfig && file == TokenizerFiles.TokenizerConfig))
            .Select(file => KeyValuePair.Create(file, files.Find(file)!))));
    }

    /// <summary>The rows of a file; skips the test where it is not there.</summary>
    public static IEnumerable<JsonElement> Rows(string name, string file) =>
        File.ReadLines(TestData.Require(Path.Combine(TestData.Tokenizers(name), file)))
            .Where(line => line.Length > 0)
            .Select(line => JsonElement.Parse(line));

    public static int[] Ids(JsonElement row, string key = "ids") => [.. row.GetProperty(key).EnumerateArray().Select(id => id.GetInt32())];

    public static string Text(JsonElement row, string key = "text") => row.GetProperty(key).GetString()!;

    /// <summary>Fails with the number of faults and the first few of them.</summary>
    public static void NoFaults(IEnumerable<string?> checks)
    {
        string?[] all = [.. checks];
        string[] faults = [.. all.OfType<string>()];
        Assert.IsNotEmpty(all, "There are no rows.");
        Assert.IsEmpty(faults, $"{faults.Length} of {all.Length} rows:\n{string.Join('\n', faults.Take(5))}");
    }

    /// <summary>Null where both are equal.</summary>
    public static string? Compare(string what, IReadOnlyList<int> expected, IReadOnlyList<int> actual) =>
        expected.SequenceEqual(actual) ? null : $"{what}: expected [{string.Join(", ", expected)}], got [{string.Join(", ", actual)}]";

    /// <summary>Null where both are equal.</summary>
    public static string? Compare(string what, string expected, string actual) =>
        string.Equals(expected, actual, StringComparison.Ordinal) ? null : $"{what}: expected '{expected}', got '{actual}'";
}
