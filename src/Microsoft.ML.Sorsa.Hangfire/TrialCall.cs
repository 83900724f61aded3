using System.Reflection;
using System.Text.Json;
using Hangfire.Common;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// A job of Hangfire's table as the call of <see cref="TrialJob.Run"/> that it is. Hangfire itself would load whatever type the row names,
/// and call any public method of it: whoever can write to the database could start a program on every worker. Here the row's names are
/// compared with those of that one method, as texts, and the two arguments are read as a text and a whole number; nothing of what a row
/// says is loaded, made or called.
/// </summary>
internal static class TrialCall
{
    private static readonly MethodInfo s_run = typeof(TrialJob).GetMethod(nameof(TrialJob.Run))!;

    /// <summary>The call that a row describes.</summary>
    /// <param name="invocation">The column "invocationdata": JSON with Type, Method and ParameterTypes.</param>
    /// <param name="arguments">The column "arguments": JSON, a list of texts, each of them JSON again.</param>
    /// <exception cref="InvalidDataException">It is no trial.</exception>
    public static Job Read(string? invocation, string? arguments)
    {
        try
        {
            using JsonDocument call = JsonDocument.Parse(invocation ?? "");
            if (call.RootElement.ValueKind != JsonValueKind.Object
                || !IsNameOf(typeof(TrialJob), Text(call, "Type"))
                || Text(call, "Method") != s_run.Name
                || JsonSerializer.Deserialize<string?[]>(Text(call, "ParameterTypes") ?? "") is not { } types
                || !s_run.GetParameters().Select(parameter => parameter.ParameterType.FullName).SequenceEqual(types.Select(FullName)))
            {
                throw NoTrial(null);
            }

            // The third is the token, which Hangfire puts in.
            return JsonSerializer.Deserialize<string?[]>(arguments ?? "") is [{ } study, { } trial, _]
                && JsonSerializer.Deserialize<string>(study) is { } name
                ? new Job(typeof(TrialJob), s_run, [name, JsonSerializer.Deserialize<int>(trial), CancellationToken.None])
                : throw NoTrial(null);
        }
        catch (JsonException e)
        {
            throw NoTrial(e);
        }
    }

    private static string? Text(JsonDocument call, string key) =>
        call.RootElement.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>Whatever version of the assembly wrote it.</summary>
    private static bool IsNameOf(Type type, string? name) =>
        name?.Split(',', 3) is [var full, var assembly, ..] && full == type.FullName && assembly.Trim() == type.Assembly.GetName().Name;

    private static string? FullName(string? type) => type?.Split(',', 2)[0];

    private static InvalidDataException NoTrial(Exception? inner) => new(
        $"The job is no trial: workers run {nameof(TrialJob)}.{nameof(TrialJob.Run)} with a study and a trial's number, and nothing else. "
        + "Give other jobs a database, or a server and a queue, of their own.", inner);
}
