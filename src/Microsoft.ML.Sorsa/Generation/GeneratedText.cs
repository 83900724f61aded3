using System.Text;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>The text of a row while its tokens arrive: decoded as they come, cut before a stop string.</summary>
/// <param name="push">The tokenizer's streaming decoder: the text that a token completes.</param>
/// <param name="flush">What the decoder still holds when no token follows.</param>
/// <param name="stopStrings">See <see cref="GenerationOptions.StopStrings"/>.</param>
internal sealed class GeneratedText(Func<int, string> push, Func<string> flush, IReadOnlyList<string> stopStrings)
{
    private readonly StopStringFilter _filter = new(stopStrings);
    private readonly StringBuilder _ready = new();

    /// <summary>A stop string was met.</summary>
    public bool Stopped => _filter.Stopped;

    public void Push(int id) => _ready.Append(_filter.Push(push(id)));

    /// <summary>No token follows.</summary>
    public void Complete() => _ready.Append(_filter.Push(flush())).Append(_filter.Flush());

    /// <summary>What is certain and was not taken yet.</summary>
    public string Take()
    {
        string text = _ready.ToString();
        _ready.Clear();
        return text;
    }
}
