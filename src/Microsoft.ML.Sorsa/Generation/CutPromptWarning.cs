using System.Globalization;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>Tells ML.NET's log of a prompt that was cut, once: data with one long prompt mostly has many.</summary>
/// <param name="host">Whose log.</param>
/// <param name="maxLength">Tokens that a prompt may have.</param>
internal sealed class CutPromptWarning(IHost host, int? maxLength)
{
    private bool _isTold;

    public void Tell(int length)
    {
        if (!_isTold)
        {
            _isTold = true;
            using IChannel channel = host.Start("Generation");
            channel.Warning(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture,
                $"A prompt of {length} tokens, its template included, was cut at the end of its own text, as in training: MaxPromptLength "
                + $"is {maxLength}. Further ones will be cut without a word."));
        }
    }
}
