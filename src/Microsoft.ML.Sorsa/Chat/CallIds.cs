using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Sorsa.Data.Chat;

namespace Microsoft.ML.Sorsa.Chat;

/// <summary>
/// Ids of the calls in one answer, each once in a conversation. They follow from prompt and call: a template that shows them makes the same
/// prompt of the same conversation again.
/// </summary>
/// <param name="prompt">What the model read.</param>
/// <param name="taken">Those of the calls that stand in the conversation.</param>
internal sealed class CallIds(IReadOnlyList<int> prompt, IEnumerable<string> taken)
{
    private const string Letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    private const int Length = 9;       // Mistral's template takes no other.

    private readonly HashSet<string> _taken = [.. taken];

    /// <summary>The model's own where the template takes it back in the next turn, and no call before has it.</summary>
    public string Next(ChatToolCall call)
    {
        if (call.Id is { Length: Length } own && own.All(char.IsAsciiLetterOrDigit) && _taken.Add(own))
        {
            return own;
        }

        for (int attempt = 0; ; attempt++)
        {
            byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(
                JsonSerializer.Serialize(new object[] { prompt, call.Name, call.Arguments, attempt })));
            string id = string.Concat(hash.Take(Length).Select(value => Letters[value % Letters.Length]));
            if (_taken.Add(id))
            {
                return id;
            }
        }
    }
}
