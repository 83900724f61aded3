using System.Text.Json;
using Microsoft.Extensions.AI;

namespace ChatService;

/// <summary>
/// OpenAI's chat completions, so that any client of theirs can ask.
/// </summary>
internal static class ChatCompletions
{
    public static void MapChatCompletions(this WebApplication app, string model)
    {
        app.MapGet("/v1/models", () => Results.Json(new
        {
            @object = "list",
            data = new[] { new { id = model, @object = "model", created = 0, owned_by = "Microsoft.ML.Sorsa" } },
        }));
        app.MapPost("/v1/chat/completions", (HttpContext context, IChatClient client) => Answer(context, client, model));
    }

    private static async Task Answer(HttpContext context, IChatClient client, string model)
    {
        try
        {
            if (!context.Request.HasJsonContentType())
            {
                // A page of another site may have the browser send other types unasked.
                throw new RequestException(
                    $"The Content-Type is '{context.Request.ContentType}'; it must be application/json.", status: 415);
            }

            CompletionRequest request = await CompletionRequest.Read(context.Request.Body, context.RequestAborted);
            if (request.Model != model)
            {
                throw new RequestException($"The model is '{request.Model}'; here is '{model}'.", nameof(model), 404, "model_not_found");
            }

            await (request.Stream ?? false ? Stream(context, client, request) : AnswerWhole(context, client, request));
        }
        catch (RequestException e)
        {
            await Refuse(context, e);
        }
        catch (Exception e) when (
            e is ArgumentException or NotSupportedException or BadHttpRequestException && !context.Response.HasStarted)
        {
            // What the chat client refuses, before it decodes anything.
            await Refuse(context, new RequestException(
                RequestException.MessageOf(e), (e as ArgumentException)?.ParamName, (e as BadHttpRequestException)?.StatusCode ?? 400));
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Whoever asked has gone, and decoding has ended.
        }
    }

    private static async Task AnswerWhole(HttpContext context, IChatClient client, CompletionRequest request)
    {
        ChatResponse response = await client.GetResponseAsync(request.Conversation(), request.Options(), context.RequestAborted);
        await context.Response.WriteAsJsonAsync(
            CompletionResponse.Of(response, request.Model), CompletionResponse.Json, context.RequestAborted);
    }

    /// <summary>Server-sent events: one for each piece, and [DONE].</summary>
    private static async Task Stream(HttpContext context, IChatClient client, CompletionRequest request)
    {
        bool includeUsage = request.StreamOptions?.IncludeUsage is true;
        int calls = 0;
        await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync(
            request.Conversation(), request.Options(), context.RequestAborted))
        {
            // Only now: what is refused before the first piece is refused with a status.
            bool isFirst = !context.Response.HasStarted;
            if (isFirst)
            {
                context.Response.ContentType = "text/event-stream";
                context.Response.Headers.CacheControl = "no-cache";
            }

            foreach (CompletionResponse chunk in CompletionResponse.Of(update, request.Model, isFirst, calls, includeUsage))
            {
                await Event(context, JsonSerializer.Serialize(chunk, CompletionResponse.Json));
            }

            calls += update.Contents.OfType<FunctionCallContent>().Count();
        }

        await Event(context, "[DONE]");
    }

    private static async Task Event(HttpContext context, string data)
    {
        await context.Response.WriteAsync($"data: {data}\n\n", context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }

    private static async Task Refuse(HttpContext context, RequestException refusal)
    {
        context.Response.StatusCode = refusal.Status;
        await context.Response.WriteAsJsonAsync(new
        {
            error = new { message = refusal.Message, type = "invalid_request_error", param = refusal.Parameter, code = refusal.Code },
        });
    }
}
