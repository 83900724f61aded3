using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>The tokens of a model and their ids, both ways. Ids may have holes.</summary>
internal sealed class Vocabulary
{
    /// <summary>No model comes near; a higher id is a fault in the file.</summary>
    public const int HighestId = (1 << 24) - 1;

    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _bySpan;
    private readonly string?[] _tokens;

    /// <exception cref="InvalidDataException">Two tokens share an id.</exception>
    public Vocabulary(Dictionary<string, int> ids, string file)
    {
        _ids = ids;
        _bySpan = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        _tokens = new string?[ids.Count == 0 ? 0 : ids.Values.Max() + 1];
        foreach ((string token, int id) in ids)
        {
            if (_tokens[id] is { } other)
            {
                throw new InvalidDataException(
                    $"{file}: the tokens '{NameList.Short(other)}' and '{NameList.Short(token)}' have the same id, {id}.");
            }

            _tokens[id] = token;
        }
    }

    /// <summary>The highest id + 1.</summary>
    public int Size => _tokens.Length;

    public IReadOnlyDictionary<string, int> Ids => _ids;

    public string? this[int id] => _tokens[id];

    public bool TryFind(ReadOnlySpan<char> token, out int id) => _bySpan.TryGetValue(token, out id);
}
