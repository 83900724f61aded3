using System.Globalization;
using Microsoft.ML.Sorsa.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>A benchmark's command line: words by their place, and options --name VALUE or --name anywhere among them.</summary>
internal sealed class Arguments
{
    /// <summary>The options of a benchmark that can run on a GPU.</summary>
    public const string DeviceOption = "device=", TypeOption = "type=";

    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);

    /// <param name="args">Without the benchmark's own name.</param>
    /// <param name="places">What the words are called, in their order; a last one that ends in "..." takes all that are left.</param>
    /// <param name="options">The options; one that takes a value ends in "=".</param>
    /// <exception cref="ArgumentException">A word too many, an unknown option, or one without its value.</exception>
    public Arguments(string[] args, IReadOnlyList<string> places, params IReadOnlyList<string> options)
    {
        var rest = new List<string>();
        int place = 0;
        for (int i = 0; i < args.Length; i++)
        {
            if (args[i].StartsWith("--", StringComparison.Ordinal))
            {
                string name = args[i][2..];
                if (options.Contains(name))
                {
                    _values[name] = "";
                }
                else if (!options.Contains(name + "="))
                {
                    throw new ArgumentException($"'{args[i]}' is no option here; there {Known(options)}.");
                }
                else if (i + 1 == args.Length)
                {
                    throw new ArgumentException($"'{args[i]}' has no value: write one behind it.");
                }
                else
                {
                    _values[name] = args[++i];
                }
            }
            else if (place < places.Count && !places[place].EndsWith("...", StringComparison.Ordinal))
            {
                _values[places[place++]] = args[i];
            }
            else if (place < places.Count)
            {
                rest.Add(args[i]);
            }
            else
            {
                throw new ArgumentException(
                    $"'{args[i]}' is one word too many: this takes {(places.Count == 0 ? "none" : string.Join(", ", places))}.");
            }
        }

        Rest = rest;
    }

    /// <summary>The words of the last place.</summary>
    public IReadOnlyList<string> Rest { get; }

    /// <summary>--device; by default the CPU. A GPU that is not there is an error.</summary>
    public Device Device => DeviceName.Parse(Text("device") ?? "cpu", "--device");

    /// <summary>--type, in which the frozen weights lie and products are computed; by default float32.</summary>
    public ScalarType Type => (Text("type") ?? "float32") switch
    {
        "float32" => ScalarType.Float32,
        "bfloat16" => ScalarType.BFloat16,
        string other => throw new ArgumentException($"--type is '{other}'; it must be float32 or bfloat16."),
    };

    /// <summary>The same where no model trains, which none does in float16.</summary>
    public ScalarType TypeOrFloat16 => Text("type") == "float16" ? ScalarType.Float16 : Type;

    public bool Has(string name) => _values.ContainsKey(name);

    public string? Text(string name) => _values.GetValueOrDefault(name);

    /// <summary>A whole number above 0.</summary>
    public int Number(string name, int otherwise) =>
        Text(name) is not { } text ? otherwise
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0 ? number
        : throw new ArgumentException($"'{name}' is '{text}'; it must be a whole number above 0.");

    private static string Known(IReadOnlyList<string> options) => options.Count == 0
        ? "are none"
        : $"{(options.Count == 1 ? "is" : "are")} {string.Join(", ", options.Select(option => "--" + option.TrimEnd('=')))}";
}
